"""Compact JWS and JWK sets, read strictly; signatures are PyJWT's."""
