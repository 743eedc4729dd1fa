"""Decision → CheckResponse: headers, challenges, problem bodies, dynamic metadata."""
