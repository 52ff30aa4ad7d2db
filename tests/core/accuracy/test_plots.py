from core.accuracy.plots import LearningRate, Plot, Score, Scores


def test_a_plot_shows_itself_and_is_written_as_a_page(tmp_path):
    plot = Plot("Losses", ["<p>one</p>", "<p>two</p>"])
    assert plot._repr_html_() == "<p>one</p>\n<p>two</p>"
    assert "save('name.html')" in repr(plot)
    path = plot.save(tmp_path / "losses.html")
    text = (tmp_path / "losses.html").read_text("utf-8")
    assert path == str(tmp_path / "losses.html")
    assert "<h1>Losses</h1>" in text and "<p>two</p>" in text


def test_a_learning_rate_is_a_number_that_shows_how_it_was_found():
    rate = LearningRate(1e-3)
    rate.curve = [{"learning_rate": 10.0**-k, "loss": float(abs(k - 2) + 1)} for k in range(6, 0, -1)]
    assert rate / 2 == 5e-4
    html = rate.plot()._repr_html_()
    assert "suggested: 0.001" in html
    assert "polyline" in html


def test_scores_say_what_they_were_counted_at():
    scores, score = Scores({"pool": 0.93256}), Score(0.5)
    scores.said = score.said = "AP at IoU 0.3 on 2 images"
    assert repr(scores) == "{'pool': 0.9326} (AP at IoU 0.3 on 2 images)"
    assert repr(score) == "0.5000 (AP at IoU 0.3 on 2 images)"
    assert scores["pool"] == 0.93256
