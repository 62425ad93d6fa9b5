"""The REST layer: requests, answers, retries, pacing and endpoints."""
