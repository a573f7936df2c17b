//! Connected regions of a map of classes.
//!
//! Owns the labelling and what is measured on the way. Never knows what a class
//! stands for.

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
}

impl Regions {
    /// Labels a map of `width` columns in two passes: runs of equal class are
    /// joined with those of the row above (union-find), then numbered.
    pub(super) fn of(map: &[u8], width: usize, neighbours: Neighbours) -> Self {
        let mut label = vec![0_u32; map.len()];
        let mut parents: Vec<u32> = Vec::new();
        let height = map.len() / width;
        for y in 0..height {
            let row = y * width;
            for x in 0..width {
                let at = row + x;
                let class = map[at];
                let mut root = None;
                if x > 0 && map[at - 1] == class {
                    root = Some(label[at - 1]);
                }
                if y > 0 {
                    let above = at - width;
                    let mut meet = |other: usize| {
                        if map[other] == class {
                            root = Some(match root {
                                Some(mine) if mine == label[other] => mine,
                                Some(mine) => join(&mut parents, mine, label[other]),
                                None => label[other],
                            });
                        }
                    };
                    meet(above);
                    if neighbours == Neighbours::Eight {
                        if x > 0 {
                            meet(above - 1);
                        }
                        if x + 1 < width {
                            meet(above + 1);
                        }
                    }
                }
                label[at] = root.unwrap_or_else(|| {
                    parents.push(parents.len() as u32);
                    parents.len() as u32 - 1
                });
            }
        }
        let numbers = number(&mut parents);
        for label in &mut label {
            *label = numbers[*label as usize];
        }
        let regions = measure(
            map,
            &label,
            width,
            numbers.iter().max().map_or(0, |&n| n + 1),
        );
        Self { label, regions }
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

    /// How many sides of each region's pixels face a pixel of some kind.
    pub(super) fn contact(&self, kind: impl Fn(usize) -> bool, width: usize) -> Vec<u32> {
        let mut contact = vec![0; self.regions.len()];
        each_side(self.label.len(), width, |at, other| {
            if self.label[at] != self.label[other] && kind(other) {
                contact[self.label[at] as usize] += 1;
            }
        });
        contact
    }

    /// The region of a pixel.
    pub(super) fn at(&self, pixel: usize) -> &Region {
        &self.regions[self.label[pixel] as usize]
    }
}

/// Calls `meet` for both directions across each side that two pixels share.
pub(super) fn each_side(pixels: usize, width: usize, mut meet: impl FnMut(usize, usize)) {
    for at in 0..pixels {
        if (at + 1) % width != 0 {
            meet(at, at + 1);
            meet(at + 1, at);
        }
        if at + width < pixels {
            meet(at, at + width);
            meet(at + width, at);
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
fn join(parents: &mut [u32], one: u32, other: u32) -> u32 {
    let (one, other) = (root_of(parents, one), root_of(parents, other));
    let (root, child) = (one.min(other), one.max(other));
    parents[child as usize] = root;
    root
}

/// Gives each set a number, counted from 0 without gaps.
fn number(parents: &mut [u32]) -> Vec<u32> {
    let mut numbers = vec![0; parents.len()];
    let mut next = 0;
    for node in 0..parents.len() as u32 {
        let root = root_of(parents, node);
        numbers[node as usize] = if root == node {
            next += 1;
            next - 1
        } else {
            numbers[root as usize]
        };
    }
    numbers
}

fn measure(map: &[u8], label: &[u32], width: usize, count: u32) -> Vec<Region> {
    let mut regions = vec![Region::default(); count as usize];
    let height = map.len() / width;
    for y in 0..height {
        for x in 0..width {
            let at = y * width + x;
            let mine = label[at] as usize;
            let region = &mut regions[mine];
            region.class = map[at];
            region.area += 1;
            let at_edge = x == 0 || y == 0 || x + 1 == width || y + 1 == height;
            region.edge += u32::from(at_edge);
            if x + 1 < width && label[at + 1] as usize != mine {
                regions[mine].perimeter += 1;
                regions[label[at + 1] as usize].perimeter += 1;
            }
            if y + 1 < height && label[at + width] as usize != mine {
                regions[mine].perimeter += 1;
                regions[label[at + width] as usize].perimeter += 1;
            }
        }
    }
    regions
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
            (regions[0].class, regions[0].area, regions[0].at_edge),
            (1, 14, true)
        );
        assert_eq!((regions[1].area, regions[1].edge), (6, 2));

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
    }
}
