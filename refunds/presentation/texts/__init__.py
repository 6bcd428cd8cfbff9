"""Texts in German and English: dates, decisions, policies, and words for customers."""
