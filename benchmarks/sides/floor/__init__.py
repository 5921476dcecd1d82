"""The least that a token endpoint and a guarded API can be on Django: raw SQL, written by hand for this alone."""
