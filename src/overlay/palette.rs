//! Colours that stay apart for colour-blind eyes, light enough for a line with dark edges.

/// Red, green, blue.
pub type Colour = [u8; 3];

/// Ground truth.
pub const TRUTH: Colour = [255, 255, 255];
/// Prompts.
pub const PROMPT: Colour = [255, 236, 0];
/// Edges of lines, plates under text.
pub const DARK: Colour = [0, 0, 0];
/// Text.
pub const TEXT: Colour = [245, 245, 245];
/// Text about what this frame does not have.
pub const DIM: Colour = [130, 130, 130];

/// After Okabe and Ito, and IBM's palette; without yellow, which is the prompts'.
const OBJECTS: [Colour; 8] = [
    [64, 176, 255],  // sky blue
    [255, 104, 48],  // vermillion
    [0, 205, 140],   // bluish green
    [255, 128, 208], // pink
    [150, 110, 255], // violet
    [255, 176, 0],   // amber
    [120, 230, 230], // pale cyan
    [200, 140, 90],  // brown
];

/// The colour of the object at this position in its video; after eight they come again.
pub fn object(position: usize) -> Colour {
    OBJECTS[position % OBJECTS.len()]
}
