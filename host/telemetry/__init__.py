"""What the host tells operators of itself: trace context, spans and logs."""
