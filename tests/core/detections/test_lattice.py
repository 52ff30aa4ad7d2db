import numpy as np

from core.detections.lattice import Lattice


def some(rows=3, cols=4, tile=100.0, step=80.0):
    y, x = (a.ravel() * step for a in np.mgrid[:rows, :cols])
    windows = np.stack([x, y, x + tile, y + tile], axis=1)
    return Lattice(windows, windows, cols, np.ones(rows * cols, bool))


def test_neighbours_on_the_left_top_right_and_bottom():
    assert some().neighbours(np.array([0, 5, 11])).tolist() == [[-1, -1, 1, 4], [4, 1, 6, 9], [10, 7, -1, -1]]


def test_a_lattice_of_one_column_has_no_neighbours_beside():
    assert some(3, 1).neighbours(np.arange(3)).tolist() == [[-1, -1, -1, 1], [-1, 0, -1, 2], [-1, 1, -1, -1]]


def test_blocks_contain_their_tiles_and_are_split_by_rows_without_any():
    tiles = np.zeros(12, bool)
    assert some().blocks(tiles).shape == (0, 4)
    tiles[[1, 2]] = True
    assert some().blocks(tiles).tolist() == [[80, 0, 260, 100]]
    tiles[11] = True
    assert some().blocks(tiles).tolist() == [[80, 0, 260, 100], [240, 160, 340, 260]]
    tiles[4] = True
    assert some().blocks(tiles).tolist() == [[0, 0, 340, 260]]
