"""Mail without a database: bytes in, values out."""
