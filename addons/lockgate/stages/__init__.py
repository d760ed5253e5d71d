"""One addon a file, one class, one verb. Stages never import each other; only `lockgate.chain` imports them."""
