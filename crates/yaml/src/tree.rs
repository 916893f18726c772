//! The tree of a text, with the place of each key and value.

use std::collections::BTreeMap;

/// A position in the text, counted from 1; 0 if unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

/// An index into [`Tree::nodes`].
pub(crate) type NodeId = usize;

#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: NodeId,
}

#[derive(Debug)]
pub(crate) struct Node {
    /// Where the value is written.
    pub(crate) at: Place,
    /// Where an alias or a merge brings it in, if that is elsewhere.
    pub(crate) used_at: Option<Place>,
    /// The map or list that holds it, and the place of its key there.
    pub(crate) parent: Option<(NodeId, Option<Place>)>,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    List(Vec<NodeId>),
    Map(Map),
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) value: NodeId,
}

/// The entries of a map in the order of the text, and how to find one by its key.
#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) entries: Vec<Entry>,
    /// Indices into `entries`, by key.
    sorted: Vec<usize>,
}

impl Map {
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        let mut sorted: Vec<usize> = (0..entries.len()).collect();
        sorted.sort_by_key(|index| entries.get(*index).map(|entry| entry.key.as_str()));
        Self { entries, sorted }
    }

    fn get(&self, key: &str) -> Option<NodeId> {
        let key_at = |index: &usize| self.entries.get(*index).map(|entry| entry.key.as_str());
        let found = self.sorted.binary_search_by_key(&Some(key), key_at).ok()?;
        let entry = self.entries.get(*self.sorted.get(found)?)?;
        Some(entry.value)
    }
}

impl Tree {
    /// The node, or as much of the way to it as exists and whether that is all of it.
    pub(crate) fn find(&self, path: &[&str]) -> (NodeId, bool) {
        let mut here = self.root;
        for part in path {
            match self.child(here, part) {
                Some(child) => here = child,
                None => return (here, false),
            }
        }
        (here, true)
    }

    /// What the node holds; nothing if there is no such node.
    pub(crate) fn content(&self, id: NodeId) -> &Content {
        self.nodes.get(id).map_or(&Content::Null, |node| &node.content)
    }

    /// The keys and values of a map; none if the node is not a map.
    pub(crate) fn entries(&self, id: NodeId) -> &[Entry] {
        if let Content::Map(map) = self.content(id) { &map.entries } else { &[] }
    }

    fn child(&self, id: NodeId, part: &str) -> Option<NodeId> {
        if let Content::List(items) = self.content(id) {
            items.get(part.parse::<usize>().ok()?).copied()
        } else if let Content::Map(map) = self.content(id) {
            map.get(part)
        } else {
            None
        }
    }

    /// Where to point at for the node: at a scalar itself, otherwise at the key that holds it.
    pub(crate) fn place(&self, id: NodeId) -> Place {
        let Some(node) = self.nodes.get(id) else {
            return Place { line: 1, column: 1 };
        };
        let scalar = !matches!(node.content, Content::Null | Content::List(_) | Content::Map(_));
        match node.parent {
            Some((_, Some(key_at))) if !scalar => key_at,
            _ => node.at,
        }
    }

    /// The place of the key that holds the node, or of the node if it has none.
    pub(crate) fn key_place(&self, id: NodeId) -> Place {
        match self.nodes.get(id).map(|node| (node.parent, node.at)) {
            Some((Some((_, Some(key_at))), _)) => key_at,
            Some((_, at)) => at,
            None => Place { line: 1, column: 1 },
        }
    }

    /// Whether `id` lies within `ancestor`, or is it.
    pub(crate) fn is_within(&self, id: NodeId, ancestor: NodeId) -> bool {
        let mut here = Some(id);
        while let Some(id) = here {
            if id == ancestor {
                return true;
            }
            here = self.nodes.get(id).and_then(|node| node.parent.map(|(parent, _)| parent));
        }
        false
    }

    /// The repeated keys of all maps: the later place, the key, the first place.
    pub(crate) fn repeated_keys(&self) -> Vec<(Place, &str, Place)> {
        let mut repeated = Vec::new();
        for id in 0..self.nodes.len() {
            let mut first: BTreeMap<&str, Place> = BTreeMap::new();
            for entry in self.entries(id) {
                let at = self.key_place(entry.value);
                if let Some(earlier) = first.get(entry.key.as_str()) {
                    repeated.push((at, entry.key.as_str(), *earlier));
                } else {
                    first.insert(&entry.key, at);
                }
            }
        }
        repeated
    }
}
