"""Programs of the host: found, with the libraries that they need, and copied where a uid cannot reach them."""
