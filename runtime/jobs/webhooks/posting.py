"""Posts one delivery to addresses that were judged: the first that is up takes it."""

import ssl
from collections.abc import Mapping, Sequence

import httpx2

from runtime.values.around.webhooks import Delivery, Tried


async def post(
    delivery: Delivery,
    *,
    addresses: Sequence[str],
    headers: Mapping[str, str],
    tls: ssl.SSLContext,
    most_s: float,
) -> Tried:
    """Try each address until one answers; return what came of it. Raises OSError."""
    async with httpx2.AsyncClient(
        verify=tls, trust_env=False, follow_redirects=False, timeout=most_s
    ) as client:
        try:
            for address in addresses[:-1]:
                try:
                    return await _post(client, delivery, address=address, headers=headers)
                except httpx2.ConnectError:
                    continue  # nothing was sent: the next one may be up
            return await _post(client, delivery, address=addresses[-1], headers=headers)
        except httpx2.HTTPError as fault:
            return Tried(error=f"{type(fault).__name__}: {fault}"[:500])


async def _post(
    client: httpx2.AsyncClient, delivery: Delivery, *, address: str, headers: Mapping[str, str]
) -> Tried:
    place = httpx2.URL(delivery.url)
    request = client.build_request(
        "POST",
        place.copy_with(host=address),
        content=delivery.body.encode(),
        headers={**headers, "Host": place.netloc.decode()},
        extensions={"sni_hostname": place.host},
    )
    answer = await client.send(request, stream=True)
    await answer.aclose()
    return _tried(answer.status_code)


def _tried(status: int) -> Tried:
    if 300 <= status < 400:
        return Tried(status=status, error="it redirects, which is followed nowhere")
    return Tried(status=status, error="" if 200 <= status < 300 else f"it answered {status}")
