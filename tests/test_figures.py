"""Figures and tables: drawn from made-up runs, the same bytes each time, numbers as computed by hand."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from mecpaper import claims
from mecpaper.claims.effect import ANSWERS
from mecpaper.config.registry import ALGORITHMS
from mecpaper.report import figures, labels, naming, tables, verdicts
from mecpaper.report.statistics import interval, yardsticks


@pytest.fixture
def curves():
    rows = []
    for algorithm, level in (("cpo_maddpg", 1.0), ("random", -5.0)):
        for seed in (1, 2, 3):
            for episode in range(0, 50, 10):
                value = level + 0.1 * seed + 0.01 * episode
                rows.append(
                    {
                        "algorithm": algorithm,
                        "scenario": "default",
                        "seed": seed,
                        "scale": "smoke",
                        "episode": episode,
                        "reward": value,
                    }
                )
    return pd.DataFrame(rows)


def _draw(curves, folder):
    figure, (axes,) = figures.new_figure()
    figures.draw_curves(axes, curves, "reward", 2, 0.95)
    figures.mark(axes, 1.27, "paper: 1.27")
    figures.name_lines(axes)
    figures.describe(figure, curves, 0.95, smoothing=2)
    return axes, figures.save(figure, folder, "fig04")


def test_a_figure_drawn_twice_has_the_same_bytes(curves, tmp_path):
    _, first = _draw(curves, tmp_path / "a")
    _, second = _draw(curves.sample(frac=1.0, random_state=1), tmp_path / "b")
    assert set(first) == {"svg", "pdf", "png"}
    for ending, path in first.items():
        assert path.read_bytes() == second[ending].read_bytes(), ending


def test_a_figure_holds_mean_band_labels_and_the_papers_number(curves, tmp_path):
    axes, paths = _draw(curves, tmp_path)
    line = axes.get_lines()[0]
    # Mean over seeds 1-3 is level + 0.2; the running mean over two points lags by half a step of 0.1.
    np.testing.assert_allclose(line.get_ydata(), [1.2, 1.25, 1.35, 1.45, 1.55])
    assert axes.get_xlabel() == "training episode" and "R_n" in axes.get_ylabel()
    svg = paths["svg"].read_text()
    for word in ("paper: 1.27", "CPO-MADDPG", "Random", "3 seeds", "scale smoke"):
        assert word in svg


def test_the_band_is_students_interval(curves):
    _, (axes,) = figures.new_figure()
    figures.draw_curves(axes, curves, "reward", 1, 0.9)
    _, lower, upper = interval([[1.1], [1.2], [1.3]], 0.9)
    band = axes.collections[0].get_paths()[0].vertices
    at_start = band[band[:, 0] == 0.0][:, 1]
    assert at_start.min() == pytest.approx(lower[0]) and at_start.max() == pytest.approx(upper[0])


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_interval_of_few_seeds_does_not_flatten_what_was_measured(curves, seeds):
    ours = curves[(curves["algorithm"] == "cpo_maddpg") & (curves["seed"] <= seeds)]
    low, high = ours["reward"].min(), ours["reward"].max()
    levels = pd.concat([ours.assign(capacity=8.0), ours.assign(capacity=9.0)])
    for draw in (
        lambda axes: figures.draw_curves(axes, ours, "reward", 1, 0.95),
        lambda axes: figures.draw_levels(axes, levels[levels["episode"] == 0], "capacity", "reward", 0.95),
    ):
        _, (axes,) = figures.new_figure()
        draw(axes)
        bottom, top = axes.get_ylim()
        assert bottom < ours.loc[ours["episode"] == 0, "reward"].min() and top - bottom < 4.0 * (high - low)
        # A number of the paper, outside, still widens the axis.
        figures.mark(axes, 9.0, "paper")
        assert axes.get_ylim()[1] > 9.0


def test_groups_other_than_algorithms_are_drawn_in_the_order_of_their_names(curves):
    _, (axes,) = figures.new_figure()
    names = {"random": "the second", "none": "not there", "cpo_maddpg": "the first"}
    figures.draw_curves(axes, curves, "reward", 1, 0.95, names=names)
    assert [line.get_label() for line in axes.get_lines()] == ["the second", "the first"]


def test_final_measures_over_a_setting_show_means_intervals_and_every_seed(curves):
    runs = curves[curves["episode"] == 0]
    levels = pd.concat([runs.assign(capacity=8.0), runs.assign(capacity=9.0, reward=runs["reward"] + 1.0)])
    levels.loc[(levels["algorithm"] == "random") & (levels["capacity"] == 9.0), "reward"] = np.nan
    _, (axes,) = figures.new_figure()
    figures.draw_levels(axes, levels, "capacity", "reward", 0.95, label="capacity (J)")
    means = {bar.get_label(): bar.lines[0].get_ydata() for bar in axes.containers}
    np.testing.assert_allclose(means["CPO-MADDPG"], [1.2, 2.2])
    np.testing.assert_allclose(means["Random"], [-4.8])
    dots = axes.get_lines()[0]
    assert len(dots.get_ydata()) == 6 and axes.get_xlabel() == "capacity (J)"
    assert axes.get_xticks().tolist() == [8.0, 9.0]


def test_names_beside_lines_do_not_overlap_and_keep_the_order_of_the_ends():
    figure, (axes,) = figures.new_figure()
    for place in range(6):
        axes.plot([0, 1], [0, 1.0 + 0.001 * place], label=f"line {place}")
    figures.name_lines(axes)
    figure.canvas.draw()
    places = np.array([text.xyann[1] for text in axes.texts]) * axes.get_window_extent().height
    assert [text.get_text() for text in axes.texts] == [f"line {place}" for place in range(6)]
    assert (np.diff(places) >= Text.get_window_extent(axes.texts[0]).height).all()


def test_yardsticks_are_the_best_plans_within_the_limit_and_the_untrained_learners(curves):
    plans = pd.DataFrame({"policy": ["stationary", "always-local"], "constrained": True, "reward": [1.3, 1.2]})
    untrained = pytest.approx(1.2)  # of CPO-MADDPG; Random does not learn
    assert yardsticks(curves, plans) == {"planner": 1.3, "always local": 1.2, "untrained": untrained}


def test_verdicts_are_told_apart_by_letter_and_colour():
    table = pd.DataFrame(
        {
            "reading": ["default", "default", "D4", "D4"],
            "id": ["1a", "10a", "1a", "10a"],
            "verdict": ["reproduced", "contradicted", "open", "reproduced"],
            "by": ["runs", "runs", "", "optimum"],
        }
    )
    _, (axes,) = figures.new_figure()
    verdicts.draw_grid(axes, table, "reading", "id")
    assert [text.get_text() for text in axes.texts] == ["R", "C", "O", "r"]
    (mesh,) = axes.collections
    assert len({tuple(color) for color in mesh.to_rgba(mesh.get_array()).reshape(-1, 4)}) == 3
    assert [label.get_text() for label in axes.get_yticklabels()] == ["default", "D4"]


def test_the_picture_of_claims_shows_effect_margin_printed_size_and_optimum():
    nothing = float("nan")
    statements = pd.DataFrame(
        [
            ("1a", 1, "reproduced", 0.12, 0.09, 0.15, 0.06, 0.18, 0.0, -0.06, 0.06),
            ("1b", 1, "open", 0.5, nothing, nothing, 0.05, nothing, nothing, nothing, nothing),
            ("2a", 2, "contradicted", -9.0, -10.0, -8.0, 0.1, nothing, nothing, nothing, nothing),
        ],
        columns=[
            *("id", "claim", "answer", "effect", "lower", "upper", "margin", "printed"),
            *("optimum_effect", "optimum_lower", "optimum_upper"),
        ],
    )
    table = pd.DataFrame({"id": [1, 2], "place": ["Fig 4, x", "§6"], "verdict": ["mixed", "contradicted"]})
    _, (axes,) = figures.new_figure()
    verdicts.draw_claims(axes, statements, table)
    drawn = [tuple(float(x) for x in line.get_xdata()) for line in axes.lines if line.get_ydata()[0] == 0.0]
    # In margins: the optimum, the interval, the effect, the printed size.
    assert [pytest.approx(x) for x in drawn if x[0] != 0.0 or len(x) == 1] == [(-1.0, 1.0), (1.5, 2.5), (2.0,), (3.0,)]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1  Fig 4", "2  §6"]
    assert [text.get_text() for text in axes.texts] == ["M", "a", "b", "C", "a"]
    edge = [line.get_xdata() for line in axes.lines if line.get_marker() == "X"]
    assert edge == [[-verdicts.REACH]]


def test_every_measure_and_verdict_that_is_shown_has_its_label():
    assert set(labels.MEASURES) <= set(labels.AXES)
    assert tuple(labels.VERDICTS) == claims.VERDICTS and set(ANSWERS) <= set(labels.VERDICTS)
    for distinct in zip(*labels.VERDICTS.values(), strict=True):
        assert len(set(distinct)) == len(labels.VERDICTS)


def test_the_palette_tells_algorithms_apart_without_colour():
    assert len({str(algorithm.dashes) for algorithm in ALGORITHMS.values()}) == len(ALGORITHMS) == 6
    assert len({algorithm.color for algorithm in ALGORITHMS.values()}) == len(ALGORITHMS)


def test_intervals_leave_out_missing_values_and_say_so():
    summary = pd.DataFrame({"devices": [20, 20, 20, 30], "sor": [0.8, 0.9, np.nan, np.nan]})
    table = tables.intervals(summary, "devices", ("sor",), 0.95).set_index("devices")
    assert table.loc[20, "mean"] == pytest.approx(0.85)
    assert table.loc[20, "upper"] - 0.85 == pytest.approx(12.7062 * 0.0707107 / np.sqrt(2.0), rel=1e-4)
    assert table.loc[20, "seeds"] == 2 and table.loc[30, "seeds"] == 0
    assert np.isnan(table.loc[30, "mean"])


def test_table_beside_the_papers_numbers(tmp_path):
    summary = pd.DataFrame({"devices": [20, 20, 30, 30], "reward": [1.0, 1.2, 0.9, 0.9], "sor": [np.nan] * 4})
    measured = tables.intervals(summary, "devices", ("reward", "sor"), 0.95)
    reported = pd.DataFrame({"devices": [20], "measure": ["reward"], "value": [1.27]})
    table = tables.beside_reported(measured, reported, "devices").set_index("devices")
    # t(0.975, 1) = 12.7062 and s = 0.14142: half-width 12.7062 * 0.14142 / sqrt(2) = 1.271.
    assert table.loc[20, "reward"] == "1.100 [-0.171, 2.371]"
    assert table.loc[20, "reward (paper)"] == 1.27
    assert table.loc[30, "sor"] == "n/a"
    tables.save(table.reset_index(), tmp_path, "table3", "Users")
    assert r"\toprule" in (tmp_path / "table3.tex").read_text()
    assert pd.read_csv(tmp_path / "table3.csv")["devices"].tolist() == [20, 30]


def test_markdown_and_latex_escape_what_they_must():
    table = pd.DataFrame({"symbol": ["g_{n}"], "text_": ["a_b | 5 %"], "number": [0.25]})
    assert tables.to_markdown(table).splitlines()[-1] == r"| g_{n} | $a_{b}$ \| 5 % | 0.25 |"
    for text in ("$S, s_t$", r"$\mathcal N_t$", "`a C_limit`", r"$\sigma^r_i$ or `J_c`", "https://a.b/C_limit"):
        assert tables.formulas(text) == text
    assert tables.to_markdown(table, plain=True).splitlines()[-1] == r"| g_{n} | a_b \| 5 % | 0.25 |"
    assert tables.formulas("C_limit and B_max, σ_e, not code.C_limit, `J_c`, ecpr_f, f_max(x)") == (
        "$C_{limit}$ and $B_{max}$, $σ_{e}$, not code.C_limit, `J_c`, ecpr_f, f_max(x)"
    )
    latex = tables.to_latex(table, "c", "l", mathematics=("symbol",))
    assert latex.splitlines() == [
        r"\begin{table}", r"\centering", r"\caption{c}", r"\label{l}", r"\begin{tabular}{lll}", r"\toprule",
        r"symbol & text\_ & number \\", r"\midrule", r"$g_{n}$ & a\_b | 5 \% & 0.25 \\", r"\bottomrule",
        r"\end{tabular}", r"\end{table}",
    ]  # fmt: skip


def test_printed_ratios_stand_beside_both_definitions(settings):
    registry = pd.DataFrame(
        {
            "place": ["Table 3"] * 4 + ["Table 4"],
            "scenario": ["default"] * 5,
            "measure": ["reward", "ecpr", "sor", "game.devices", "reward"],
            "value": ["1.27", "0.004", "0.86", "20", "9"],
        }
    )
    found = tables.reported(registry, "Table 3", settings).set_index("measure")["value"].to_dict()
    assert found == {"reward": 1.27, "ecpr_f": 0.004, "ecpr_m": 0.004, "sor": 0.86}


def test_parameters_stand_beside_what_is_printed(settings):
    registry = pd.DataFrame(
        {"scenario": ["default"], "measure": ["game.devices"], "value": ["20"], "place": ["Table 2"]}
    )
    table = tables.parameters(settings, registry).set_index("parameter")
    assert table.loc["game.devices"].tolist() == ["20", "20", "Table 2"]
    assert table.loc["game.gain_db.1"].tolist() == ["10", "", ""]
    assert table.loc["scales.paper.episodes", "used"] == "2000"


def test_printed_numbers_stand_only_beside_the_papers_setting(settings, root):
    registry = pd.read_csv(root / "data/paper/reported.csv")
    unlike = {name: tables.unlike_printed(settings, registry, name) for name in settings.scenarios}
    assert "game.battery_capacity = a list, printed 8" in unlike.pop("heterogeneous")
    assert not any(unlike.values())
    changed = settings.model_copy(update={"game": settings.game.changed(devices=8)})
    assert tables.unlike_printed(changed, registry, "attacker_strong") == "game.devices = 8, printed 20"
    assert set(tables.reported(registry, "Table 3", changed)["scenario"]) == {"users_30", "users_40", "users_50"}
    assert tables.reported(registry, "Table 4", changed).empty


def test_a_title_says_what_is_seen_whatever_the_data():
    final = pd.DataFrame({"algorithm": ["a", "b", "b", "d"], "energy": [1.0, 0.2, 0.4, 0.303], "sor": np.nan})
    names = {"b": "B", "a": "A", "c": "C", "d": "D"}
    said = {
        "energy ends between 0.30 J (B) and 1.00 J (A)": ("abd", "energy"),
        "energy ends at 0.30 J with B and D": ("bd", "energy"),
        "energy ends at 1.00 J with A": ("a", "energy"),
        "": ("abd", "sor"),
    }
    for text, (groups, measure) in said.items():
        for whose in ("", "X"):
            figure, _ = figures.new_figure(9.0)
            runs = final[final["algorithm"].isin(list(groups))]
            figures.state(figure, runs, measure, names, whose=whose)
            assert figure.get_suptitle() == (f"X's {text}" if whose and text else text.capitalize()[:1] + text[1:])


def test_a_title_of_curves_says_where_their_lines_end():
    figure, _ = figures.new_figure(9.0)
    names = {"random": "R", "cpo_maddpg": "CPO-MADDPG", "mappo": "M"}
    curves = pd.DataFrame({"algorithm": name, "scenario": "s", "seed": 1, "episode": [0, 1, 2], "reward": [9.0, 1.0, n]}
                          for n, name in enumerate(names)).explode(["episode", "reward"])  # fmt: skip
    figures.state(figure, curves.astype({"reward": float}), "reward", names, smoothing=2)
    assert figure.get_suptitle() == "Reward ends between 0.50 (R) and 1.50 (M); CPO-MADDPG: 1.00"


def test_the_name_of_a_level_covers_as_little_as_it_can():
    _, (axes,) = figures.new_figure(4.0)
    axes.plot([0, 1, 2, 3], [1.03, 1.03, 0.2, 0.2])
    axes.set_ylim(0.0, 1.5)
    figures.mark(axes, 1.0, "a level")
    assert axes.texts[0].get_horizontalalignment() == "right"
    axes.invert_xaxis()
    figures.mark(axes, 1.1, "a level")
    assert axes.texts[1].get_horizontalalignment() == "left"


def test_the_name_of_a_short_level_keeps_off_the_lines_at_its_place():
    _, (axes,) = figures.new_figure(4.0)
    axes.plot([0.0, 1.0], [0.53, 0.53])
    axes.plot([8.0, 9.0], [0.47, 0.47], label="line")
    axes.plot([0.0, 9.0], [np.nan, np.nan], label="nothing")
    axes.set(xlim=(0.0, 10.0), ylim=(0.0, 1.0))
    figures.mark(axes, 0.5, "x", at=8.4)
    assert axes.texts[0].get_verticalalignment() == "bottom"
    figures.mark(axes, 0.5, "x", at=0.4)
    assert axes.texts[1].get_verticalalignment() == "top"
    figures.name_lines(axes)
    assert axes.texts[-1].get_text() == "line"


def test_a_figure_of_six_learners_is_read_at_a_columns_width_and_in_grey(curves):
    runs = curves[curves["algorithm"] == "random"]
    curves = pd.concat([runs.assign(algorithm=key) for key in ALGORITHMS])
    levels = pd.concat([curves.assign(capacity=8.0), curves.assign(capacity=9.0)])
    figure, (above, below) = figures.stacked(2)
    figures.draw_curves(above, curves, "reward", 2, 0.95)
    figures.draw_levels(below, levels[levels["episode"] == 0], "capacity", "reward", 0.95, "capacity (J)")
    for axes in (above, below):
        figures.mark(axes, -4.0, "a number of the paper")
        figures.name_lines(axes)
    figures.state(figure, curves, "reward", labels.NAMES)
    figures.describe(figure, curves, 0.95, smoothing=2)
    figure.draw_without_rendering()
    texts = [text for text in figure.findobj(Text) if text.get_text().strip()]
    assert figure.get_figwidth() <= 3.54 and min(text.get_fontsize() for text in texts) >= 7
    drawn = figure.get_tightbbox()
    assert drawn.x0 >= 0 and drawn.x1 <= figure.get_figwidth() and drawn.y0 >= 0 and drawn.y1 <= figure.get_figheight()
    lines = [line for line in above.get_lines() if line.get_label() in labels.NAMES.values()]
    assert len({line.get_marker() for line in lines}) == len({str(line._dash_pattern) for line in lines}) == 6
    assert len({bar.lines[0].get_marker() for bar in below.containers}) == 6


def test_names_of_levels_close_together_do_not_overlap(curves):
    figure, panels = figures.stacked(2)
    for axes, below in zip(panels, (False, True), strict=True):
        figures.draw_curves(axes, curves[curves["algorithm"] == "random"], "reward", 2, 0.95)
        for value, name in ((-1.0, "planner"), (-1.02, "paper: CPO-MADDPG 1.27"), (-1.04, "always local")):
            figures.mark(axes, value, name, below=below)
    figure.draw_without_rendering()
    for axes in panels:
        boxes = [text.get_window_extent() for text in axes.texts]
        assert len(boxes) == 3 and not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def test_lines_break_between_words_and_not_in_a_formula():
    assert naming.wrapped("energy with $E > C_{limit}$ of all", 16).splitlines() == [
        "energy with",
        "$E > C_{limit}$",
        "of all",
    ]


def test_differences_are_drawn_with_their_interval_and_margin():
    row = {"text": "x is above y", "answer": "open", "effect": 0.1, "lower": -0.1, "upper": 0.3, "margin": 0.05}
    figure = verdicts.effects(pd.DataFrame([row | {"meaning": "early"}, row | {"meaning": "late"}]), "reward")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["x is above y, early", "x is above y, late"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["O  open"]
    lines = [line.get_xdata() for line in axes.get_lines()]
    assert [list(lines[0]), list(lines[1])] == [[-0.1, 0.3], [0.1]] and len(lines) == 5
    (band, _) = axes.collections
    assert band.get_paths()[0].get_extents().intervalx.tolist() == [-0.05, 0.05]


def test_where_some_seeds_have_no_value_their_number_is_said():
    runs = pd.DataFrame({"devices": [20, 20, 20, 40], "sor": [0.9, None, 0.7, 0.8], "reward": [1.0, 2.0, 3.0, 4.0]})
    measured = tables.intervals(runs, "devices", ["sor", "reward"], 0.95)
    nothing = pd.DataFrame({"devices": [], "measure": [], "value": []})
    shown = tables.beside_reported(measured, nothing, "devices").set_index("devices")
    assert shown.loc[20, "sor"].endswith("(2 seeds)") and "seed" not in shown.loc[20, "reward"]
    assert shown.loc[40, "sor"] == "0.800 (1 seed)"
