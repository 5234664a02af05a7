//! Connected components of a mask, 4-connected, numbered in scan order
//! (as `scipy.ndimage.label` numbers them with its default structure).

use crate::mask::Mask;

/// One connected component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Number of pixels, at least 1.
    pub area: usize,
    sum_x: u64,
    sum_y: u64,
    /// Leftmost and rightmost column, top and lowest row, inclusive.
    pub(super) x_range: (usize, usize),
    pub(super) y_range: (usize, usize),
}

impl Component {
    /// Mean column and row, each truncated to a whole pixel.
    pub fn centroid(&self) -> (usize, usize) {
        let mean = |sum: u64| (sum / self.area.max(1) as u64) as usize;
        (mean(self.sum_x), mean(self.sum_y))
    }
}

/// The components of a mask and which one each pixel belongs to.
#[derive(Clone, Debug)]
pub struct Components {
    width: usize,
    /// 0 is background; component i has label i + 1.
    labels: Vec<u32>,
    list: Vec<Component>,
}

impl Components {
    /// Labels the mask.
    pub fn of(mask: &Mask) -> Self {
        let (width, pixels) = (mask.width(), mask.as_slice());
        let mut labels = vec![0u32; pixels.len()];
        let mut list: Vec<Component> = Vec::new();
        let mut pending = Vec::new();
        for start in 0..pixels.len() {
            if !pixels[start] || labels[start] != 0 {
                continue;
            }
            let label = list.len() as u32 + 1;
            let (y, x) = (start / width, start % width);
            let mut component = Component {
                area: 0,
                sum_x: 0,
                sum_y: 0,
                x_range: (x, x),
                y_range: (y, y),
            };
            labels[start] = label;
            pending.push(start);
            while let Some(at) = pending.pop() {
                let (y, x) = (at / width, at % width);
                component.area += 1;
                component.sum_x += x as u64;
                component.sum_y += y as u64;
                component.x_range = (component.x_range.0.min(x), component.x_range.1.max(x));
                component.y_range = (component.y_range.0.min(y), component.y_range.1.max(y));
                let mut visit = |next: usize| {
                    if pixels[next] && labels[next] == 0 {
                        labels[next] = label;
                        pending.push(next);
                    }
                };
                if x > 0 {
                    visit(at - 1);
                }
                if x + 1 < width {
                    visit(at + 1);
                }
                if at >= width {
                    visit(at - width);
                }
                if at + width < pixels.len() {
                    visit(at + width);
                }
            }
            list.push(component);
        }
        Self {
            width,
            labels,
            list,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether the mask was empty.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The first in scan order.
    pub fn first(&self) -> Option<&Component> {
        self.list.first()
    }

    /// Index and component of the largest area; of equals the first in scan order.
    pub fn largest(&self) -> Option<(usize, &Component)> {
        let most = self.list.iter().map(|c| c.area).max()?;
        self.list.iter().enumerate().find(|(_, c)| c.area == most)
    }

    /// Whether the pixel at (row, column) belongs to the component of this index.
    pub fn contains(&self, index: usize, y: usize, x: usize) -> bool {
        x < self.width
            && self
                .labels
                .get(y * self.width + x)
                .is_some_and(|&label| label as usize == index + 1)
    }
}
