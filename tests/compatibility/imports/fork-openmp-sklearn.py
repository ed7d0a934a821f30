# /// script
# dependencies = ["scikit-learn"]
# ///

from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.datasets import load_iris

X, y = load_iris(return_X_y=True)
M = KMeans(3, random_state=0, n_init=3).fit(X)  # OpenMP before the fork
H = HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(X, y)


def extract(*, job, **_):
    return [
        round(float(KMeans(3, random_state=0, n_init=3).fit(X).inertia_), 4),
        round(float(H.fit(X, y).score(X, y)), 4),
    ]
