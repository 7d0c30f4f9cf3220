"""Tests of every part, from pure units to whole processes on real servers."""
