"""Texts in German and English: dates, decisions, policies, and what customers are told."""
