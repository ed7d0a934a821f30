# /// script
# dependencies = ["aiohttp"]
#
# [tool.compatibility]
# differs = "network"
# ///

import aiohttp, asyncio


def extract(*, job, **_):
    async def f():
        async with aiohttp.ClientSession() as s:
            async with s.get("https://example.com") as r:
                return r.status

    async def local():
        from aiohttp import web

        app = web.Application()
        app.router.add_get("/", lambda r: _h(r))

        async def _h(r):
            return web.Response(text="ok")

        run = web.AppRunner(app)
        await run.setup()
        site = web.TCPSite(run, "127.0.0.1", 8081)
        await site.start()
        async with aiohttp.ClientSession() as s:
            async with s.get("http://127.0.0.1:8081/") as r:
                t = await r.text()
        await run.cleanup()
        return t

    try:
        a = asyncio.run(f())
    except Exception as e:
        a = type(e).__name__ + ": " + str(e)[:200]
    try:
        b = asyncio.run(local())
    except Exception as e:
        b = type(e).__name__ + ": " + str(e)[:200]
    return [a, b]
