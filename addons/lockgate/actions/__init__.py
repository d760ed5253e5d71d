"""Pure readers, one protocol a file: what a request asks for, as actions and facts. Bytes in, values out."""
