"""What to ask for where a module is not there: its name, and how it is distributed. Pure."""

BROUGHT_BY = {
    "attr": "attrs",
    "barcode": "python-barcode",
    "bs4": "beautifulsoup4",
    "Crypto": "pycryptodome",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "google.protobuf": "protobuf",
    "jwt": "pyjwt",
    "magic": "python-magic",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "pptx": "python-pptx",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "usb": "pyusb",
    "yaml": "pyyaml",
}
"""Modules that are distributed under another name, and are asked for most."""
GONE = {
    "pkg_resources": "setuptools 82 no longer has pkg_resources: write setuptools<82 in "
    "requirements.txt, or let the code use importlib.metadata and importlib.resources",
    "distutils": "Python 3.12 no longer has distutils: write setuptools in requirements.txt, "
    "which brings it",
    "imp": "Python 3.12 no longer has imp: let the code use importlib",
    "cgi": "Python 3.13 no longer has cgi: write legacy-cgi in requirements.txt",
    "audioop": "Python 3.13 no longer has audioop: write audioop-lts in requirements.txt",
}
"""Modules that were there until their distribution, or Python itself, gave them up."""


def mend_of(module: str, *, otherwise: str) -> str:
    """Return what to do about a module that is not there; `otherwise` where that is not known.

    >>> mend_of("cv2", otherwise="read the traceback")
    'write opencv-python-headless in requirements.txt, which brings cv2'
    """
    top = module.partition(".")[0]
    if top in GONE:
        return GONE[top]
    brought = BROUGHT_BY.get(module) or BROUGHT_BY.get(top)
    return f"write {brought} in requirements.txt, which brings {top}" if brought else otherwise
