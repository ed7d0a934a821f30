# /// script
# dependencies = ["pyyaml", "ruamel.yaml", "toml", "tomlkit"]
# ///

import yaml, ruamel.yaml, tomlkit


def extract(*, job, **_):
    y = yaml.load("a: [1, 2]\nd: 2026-01-01", Loader=yaml.CSafeLoader)
    r = ruamel.yaml.YAML()
    d = r.load("# c\na: 1\n")
    r.dump(d, job.output_dir / "o.yaml")
    return [str(y), (job.output_dir / "o.yaml").read_text(), tomlkit.dumps({"a": 1})]
