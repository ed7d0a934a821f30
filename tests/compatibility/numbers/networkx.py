# /// script
# dependencies = ["networkx"]
# ///

import networkx as nx


def extract(*, job, **_):
    g = nx.karate_club_graph()
    nx.write_graphml(g, job.output_dir / "g.graphml")
    return [
        round(max(nx.pagerank(g, tol=1e-9).values()) if False else nx.density(g), 6),
        nx.diameter(g),
        len(list(nx.community.greedy_modularity_communities(g))),
    ]
