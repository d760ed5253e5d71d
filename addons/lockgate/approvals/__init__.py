"""What persons decide: requests that are held, what was approved of them, and what was granted ahead."""
