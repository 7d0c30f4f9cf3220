"""The demo of the tenants in sandbox/examples: `course.play` runs it, `facts` reads Halo, `compare` is the judge."""
