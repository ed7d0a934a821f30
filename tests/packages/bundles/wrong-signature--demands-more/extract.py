def extract(job, path):
    return path
