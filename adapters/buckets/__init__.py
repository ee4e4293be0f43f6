"""The ports of the domain over several buckets: each call goes to the bucket, or the buckets, that have its rows."""
