"""Measurements of hack/bench; run inside the test image: python3 -m bench ROUNDS SUBJECT..."""
