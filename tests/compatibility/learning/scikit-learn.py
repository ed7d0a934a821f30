# /// script
# dependencies = ["scikit-learn"]
# ///

from sklearn.ensemble import RandomForestClassifier
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score, GridSearchCV
from sklearn.linear_model import LogisticRegression
from sklearn.decomposition import PCA
import joblib


def extract(*, job, **_):
    X, y = load_iris(return_X_y=True)
    s = cross_val_score(RandomForestClassifier(20, random_state=0, n_jobs=2), X, y, cv=3, n_jobs=2)
    g = GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.1, 1]}, n_jobs=2).fit(X, y)
    joblib.dump(g.best_estimator_, job.output_dir / "m.joblib")
    return {
        "s": [round(v, 4) for v in s],
        "g": g.best_params_,
        "pca": [round(v, 4) for v in PCA(2).fit(X).explained_variance_ratio_],
        "cpus": joblib.cpu_count(),
    }
