"""The demonstration: `command.demo` is its entry, `course.play` its main path, `verify.verify` its judge."""
