# /// script
# dependencies = ["cryptography"]
# ///

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import rsa, padding
from cryptography.hazmat.primitives import hashes


def extract(*, job, **_):
    k = rsa.generate_private_key(65537, 2048)
    s = k.sign(b"x", padding.PKCS1v15(), hashes.SHA256())
    k.public_key().verify(s, b"x", padding.PKCS1v15(), hashes.SHA256())
    f = Fernet(Fernet.generate_key())
    return f.decrypt(f.encrypt(b"ok")).decode()
