"""Models: LLM endpoints with parameters, prices, rate buckets and keys, and routes over them."""
