# /// script
# dependencies = ["opencv-python-headless"]
# ///

import cv2, numpy as np


def extract(*, job, **_):
    im = np.zeros((200, 200, 3), np.uint8)
    cv2.circle(im, (100, 100), 50, (255, 255, 255), -1)
    cv2.putText(im, "hi", (5, 30), cv2.FONT_HERSHEY_SIMPLEX, 1, (0, 255, 0))
    cv2.imwrite(str(job.output_dir / "a.png"), cv2.GaussianBlur(im, (5, 5), 0))
    g = cv2.cvtColor(im, cv2.COLOR_BGR2GRAY)
    c, _h = cv2.findContours(g, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    r = cv2.resize(
        cv2.warpAffine(np.tile(im, (8, 8, 1)), np.eye(2, 3, dtype="f4"), (1600, 1600)), (64, 64)
    )
    return {"n": len(c), "sum": int(r.sum()), "threads": cv2.getNumThreads()}
