"""From an untrusted model file to a loaded model: snapshot, validation, loading."""
