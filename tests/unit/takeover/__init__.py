"""Moving sessions of the origin."""
