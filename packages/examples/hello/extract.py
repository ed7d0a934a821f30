"""The smallest useful bundle: no requirements, one function."""

from collections import Counter


def extract(*, job, **_):
    """Count lines, words and the commonest words of each text."""
    greeting = job.parameters.get("greeting", "Hello")
    files = []
    for done, path in enumerate(job.inputs, start=1):
        words = path.read_text(encoding="utf-8", errors="replace").split()
        files.append(
            {
                "name": path.name,
                "words": len(words),
                "commonest": Counter(word.strip(".,;:()").lower() for word in words).most_common(3),
            }
        )
        job.progress(done, len(job.inputs), f"read {path.name}")
    message = f"{greeting}, {job.parameters.get('name', 'world')}!"
    job.log(message)
    return {"message": message, "files": files}
