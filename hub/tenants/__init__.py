"""Tenants: one YAML file each, its accepted revisions as events, and the rules that every service follows."""
