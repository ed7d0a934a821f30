# /// script
# dependencies = ["email-validator", "dnspython", "validators", "stdnum; python_version<'3'", "python-stdnum", "schwifty", "pycountry"]
# ///

import pycountry, schwifty, email_validator
from stdnum import isbn


def extract(*, job, **_):
    return [
        pycountry.countries.get(alpha_2="DE").name,
        schwifty.IBAN("DE89370400440532013000").bank_code,
        isbn.is_valid("978-0-306-40615-7"),
        email_validator.validate_email("a@example.org", check_deliverability=False).normalized,
    ]
