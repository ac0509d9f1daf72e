"""What a hostile caller or file sends."""
