"""What every HTTP call needs: middleware, keys, bodies, forms, compression, negotiation, problem documents."""
