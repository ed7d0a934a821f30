# /// script
# dependencies = ["phonenumbers"]
# ///

import phonenumbers
from phonenumbers import geocoder


def extract(*, job, **_):
    p = phonenumbers.parse("+49 30 123456")
    return [phonenumbers.is_valid_number(p), geocoder.description_for_number(p, "de")]
