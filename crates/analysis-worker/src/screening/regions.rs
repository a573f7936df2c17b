//! Connected regions of a map of classes.
//!
//! Owns the labelling and what is measured on the way. Never knows what a class
//! stands for.
//!
//! The map is read as runs of equal class along its rows. A photo has far fewer
//! runs than pixels, so joining runs (union-find) costs a fraction of joining
//! pixels; the analysis labels a dozen maps a photo.

/// One connected region of pixels of the same class.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Region {
    /// The class of all its pixels.
    pub(super) class: u8,
    /// Its pixels.
    pub(super) area: u32,
    /// Its pixels at the edge of the photo.
    pub(super) edge: u32,
    /// Sides of its pixels that face another class, the photo's edge not counted.
    pub(super) perimeter: u32,
}

/// Which neighbours of a pixel belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Neighbours {
    /// Those that share a side.
    Four,
    /// Those that share a side or a corner.
    Eight,
}

/// All regions of a map.
#[derive(Debug)]
pub(super) struct Regions {
    /// The region of each pixel, an index into `regions`.
    pub(super) label: Vec<u32>,
    pub(super) regions: Vec<Region>,
    width: usize,
}

impl Regions {
    /// Labels a map of `width` columns.
    pub(super) fn of(map: &[u8], width: usize, neighbours: Neighbours) -> Self {
        let mut runs = runs(map, width);
        let mut parents: Vec<u32> = (0..runs.len() as u32).collect();
        join_rows(&mut runs, &mut parents, neighbours);
        let (numbers, count) = number(&mut parents);
        let mut regions = vec![Region::default(); count];
        let mut label = vec![0_u32; map.len()];
        let height = map.len() / width;
        for (run, &number) in runs.iter().zip(&numbers) {
            let row = run.row as usize;
            let (start, end) = (run.start as usize, run.end as usize);
            label[row * width + start..row * width + end].fill(number);
            let region = &mut regions[number as usize];
            region.class = run.class;
            region.area += run.end - run.start;
            region.perimeter += run.facing + u32::from(start > 0) + u32::from(end < width);
            region.edge += if row == 0 || row + 1 == height {
                run.end - run.start
            } else {
                (u32::from(start == 0) + u32::from(end == width)).min(run.end - run.start)
            };
        }
        Self {
            label,
            regions,
            width,
        }
    }

    /// Which regions lie for less than two fifths of their area at depth.
    pub(super) fn rims(&self, deep: &[bool]) -> Vec<bool> {
        let mut at_depth = vec![0_u32; self.regions.len()];
        for (&label, &deep) in self.label.iter().zip(deep) {
            at_depth[label as usize] += u32::from(deep);
        }
        at_depth
            .iter()
            .zip(&self.regions)
            .map(|(deep, region)| deep * 5 < region.area * 2)
            .collect()
    }

    /// Calls `meet` for each side between pixels of two regions, once from
    /// either of them.
    pub(super) fn each_border(&self, mut meet: impl FnMut(usize, usize)) {
        let width = self.width;
        for (y, row) in self.label.chunks_exact(width).enumerate() {
            let start = y * width;
            for x in 1..width {
                if row[x - 1] != row[x] {
                    meet(start + x - 1, start + x);
                    meet(start + x, start + x - 1);
                }
            }
            let Some(below) = self.label.get(start + width..start + 2 * width) else {
                continue;
            };
            for (x, (one, other)) in row.iter().zip(below).enumerate() {
                if one != other {
                    meet(start + x, start + width + x);
                    meet(start + width + x, start + x);
                }
            }
        }
    }

    /// How many sides of each region's pixels face a pixel of some kind outside it.
    pub(super) fn contact(&self, kind: impl Fn(usize) -> bool) -> Vec<u32> {
        let mut contact = vec![0; self.regions.len()];
        self.each_border(|at, other| {
            contact[self.label[at] as usize] += u32::from(kind(other));
        });
        contact
    }

    /// The region of a pixel.
    pub(super) fn at(&self, pixel: usize) -> &Region {
        &self.regions[self.label[pixel] as usize]
    }
}

/// Pixels of one class side by side.
#[derive(Debug, Clone, Copy)]
struct Run {
    row: u32,
    start: u32,
    end: u32,
    /// Sides above and below that face another class.
    facing: u32,
    class: u8,
}

fn runs(map: &[u8], width: usize) -> Vec<Run> {
    let mut runs = Vec::with_capacity(map.len() / 16);
    for (row, pixels) in map.chunks_exact(width).enumerate() {
        let mut start = 0;
        for run in pixels.chunk_by(|one, other| one == other) {
            let end = start + run.len() as u32;
            runs.push(Run {
                row: row as u32,
                start,
                end,
                facing: 0,
                class: run[0],
            });
            start = end;
        }
    }
    runs
}

/// Joins the runs of each row with those of the row above that they touch.
fn join_rows(runs: &mut [Run], parents: &mut [u32], neighbours: Neighbours) {
    let reach = u32::from(neighbours == Neighbours::Eight);
    let mut above = 0;
    for here in 0..runs.len() {
        let run = runs[here];
        // Runs above that end before this one begins meet no later one either.
        while above < here
            && (runs[above].row + 1 < run.row
                || (runs[above].row + 1 == run.row && runs[above].end + reach <= run.start))
        {
            above += 1;
        }
        let mut other = above;
        while other < here && runs[other].row < run.row && runs[other].start < run.end + reach {
            let over = runs[other];
            if over.class == run.class {
                join(parents, here as u32, other as u32);
            } else {
                let shared = run
                    .end
                    .min(over.end)
                    .saturating_sub(run.start.max(over.start));
                runs[here].facing += shared;
                runs[other].facing += shared;
            }
            other += 1;
        }
    }
}

fn root_of(parents: &mut [u32], mut node: u32) -> u32 {
    while parents[node as usize] != node {
        let above = parents[node as usize];
        parents[node as usize] = parents[above as usize];
        node = above;
    }
    node
}

/// Joins two sets; the smaller number stays the root, so roots come first in `parents`.
fn join(parents: &mut [u32], one: u32, other: u32) {
    let (one, other) = (root_of(parents, one), root_of(parents, other));
    parents[one.max(other) as usize] = one.min(other);
}

/// Gives each set a number, counted from 0 without gaps.
fn number(parents: &mut [u32]) -> (Vec<u32>, usize) {
    let mut numbers = vec![0; parents.len()];
    let mut next = 0;
    for node in 0..parents.len() as u32 {
        let root = root_of(parents, node);
        if root == node {
            numbers[node as usize] = next;
            next += 1;
        } else {
            numbers[node as usize] = numbers[root as usize];
        }
    }
    (numbers, next as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spiral_is_one_region_and_corners_join_only_when_told() {
        let map = [
            1, 1, 1, 1, //
            0, 0, 0, 1, //
            1, 1, 0, 1, //
            1, 0, 0, 1, //
            1, 1, 1, 1, //
        ];
        let regions = Regions::of(&map, 4, Neighbours::Four).regions;
        assert_eq!(regions.len(), 2);
        assert_eq!(
            (regions[0].class, regions[0].area, regions[0].edge),
            (1, 14, 13)
        );
        assert_eq!((regions[1].area, regions[1].edge), (6, 1));

        let checks = [1, 0, 0, 1];
        assert_eq!(Regions::of(&checks, 2, Neighbours::Four).regions.len(), 4);
        assert_eq!(Regions::of(&checks, 2, Neighbours::Eight).regions.len(), 2);
    }

    #[test]
    fn an_island_has_its_shore_as_perimeter() {
        let mut map = [0_u8; 25];
        map[12] = 1;
        let all = Regions::of(&map, 5, Neighbours::Four);
        assert_eq!(all.at(12).perimeter, 4);
        assert_eq!(all.at(12).edge, 0);
        assert_eq!(all.at(0).perimeter, 4);
        assert_eq!(all.at(0).edge, 16);
        assert_eq!(all.contact(|at| map[at] == 1)[all.label[0] as usize], 4);
    }

    /// Against the plainest flood fill.
    #[test]
    fn any_map_is_labelled_as_a_flood_fill_would() {
        let mut state = 7_u32;
        for (width, height) in [(1, 9), (9, 1), (13, 11), (40, 30)] {
            for neighbours in [Neighbours::Four, Neighbours::Eight] {
                let map: Vec<u8> = (0..width * height)
                    .map(|_| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (state >> 24) as u8 % 3
                    })
                    .collect();
                let found = Regions::of(&map, width, neighbours);
                let filled = flood(&map, width, neighbours);
                for one in 0..map.len() {
                    for other in 0..one {
                        let same = filled[one] == filled[other];
                        assert_eq!(found.label[one] == found.label[other], same);
                    }
                }
                let sum: u32 = found.regions.iter().map(|region| region.area).sum();
                assert_eq!(sum as usize, map.len());
                let mut sides = vec![0; found.regions.len()];
                found.each_border(|at, _| sides[found.label[at] as usize] += 1);
                for (region, sides) in found.regions.iter().zip(sides) {
                    assert_eq!(region.perimeter, sides);
                }
            }
        }
    }

    fn flood(map: &[u8], width: usize, neighbours: Neighbours) -> Vec<usize> {
        let height = map.len() / width;
        let mut label = vec![usize::MAX; map.len()];
        for seed in 0..map.len() {
            let mut open = vec![seed];
            while let Some(at) = open.pop() {
                if label[at] != usize::MAX || map[at] != map[seed] {
                    continue;
                }
                label[at] = seed;
                let (x, y) = (at % width, at / width);
                for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                    for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                        let corner = nx != x && ny != y;
                        if !corner || neighbours == Neighbours::Eight {
                            open.push(ny * width + nx);
                        }
                    }
                }
            }
        }
        label
    }
}
