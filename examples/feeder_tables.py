"""A feeder folder from a pandapower net
=====================================

`feeder.yaml`, `buses.csv` and `lines.csv` for `grid.feeder`.

.. code-block:: sh

    python examples/feeder_tables.py pandapower.networks:case33bw my_feeder

The first word is `module:function`, pandapower.networks:case33bw when none is given. The folder
gets the three files; without one, they are printed. Classes, zones and ampacities are for you to
fill in: every bus gets the class "residential" and no zone, every line the net's own rating, or 400
A. Only nets of one voltage with one external grid, and lines without capacitance, can be told so.
The loads and impedances of scenarios/feeders/case33bw are from here.
"""

# sphinx_gallery_thumbnail_path = 'img/hosting_map.png'

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from abm.grid import load_net

RATING_A = 400


def tables(source: str) -> dict[str, str]:
    """The text of each file, under its name."""
    net: Any = load_net(source)
    line = net.line
    (slack,) = net.ext_grid.index
    kv = set(net.bus["vn_kv"])
    if len(kv) > 1 or len(net.trafo) or len(net.sgen) or line["c_nf_per_km"].any():
        raise SystemExit(f"{source} is more than loads on lines of one voltage")
    head = (
        f"vn_kv: {kv.pop():g}\nslack_bus: {net.ext_grid.bus[slack] + 1}\n"
        f"slack_vm_pu: {net.ext_grid.vm_pu[slack]:g}\nsource: {source}\n"
    )
    load = net.load[net.load["in_service"]].groupby("bus")[["p_mw", "q_mvar"]].sum()
    load = load.reindex(net.bus.index.sort_values(), fill_value=0.0)
    buses = ["bus,customer_class,zone,p_mw,q_mvar"]
    buses += [f"{bus + 1},residential,,{p:.12g},{q:.12g}" for bus, p, q in load.itertuples()]
    lines = ["from_bus,to_bus,ampacity_a,r_ohm,x_ohm,open"]
    for item in line.itertuples():
        ohm = [
            f"{per_km * item.length_km / item.parallel:.12g}"
            for per_km in (item.r_ohm_per_km, item.x_ohm_per_km)
        ]
        # Nets without ratings carry something absurd.
        rating = min(1e3 * item.max_i_ka * item.parallel, 1e5)
        amperes = f"{rating if rating < 1e5 else RATING_A:g}"
        ends, is_open = f"{item.from_bus + 1},{item.to_bus + 1}", f"{1 - item.in_service:d}"
        lines.append(",".join([ends, amperes, *ohm, is_open]))
    files = {"feeder.yaml": head}
    return files | {"buses.csv": "\n".join(buses) + "\n", "lines.csv": "\n".join(lines) + "\n"}


def main(arguments: list[str]) -> None:
    """Write or print the tables."""
    arguments = [given for given in arguments if given != "--smoke"]  # it takes no time anyway
    source = arguments[0] if arguments else "pandapower.networks:case33bw"
    for name, text in tables(source).items():
        if len(arguments) > 1:
            folder = Path(arguments[1])
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        else:
            print(f"# {name}\n{text}")


if __name__ == "__main__":
    main(sys.argv[1:])
