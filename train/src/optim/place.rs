//! Where a parameter stands in its module: what groups, rates and the state's names depend on.

/// Names of the modules on the way to a parameter, and whether each is an embedding.
#[derive(Clone, Debug, Default)]
pub(super) struct Place(Vec<(String, bool)>);

impl Place {
    pub(super) fn enter(&mut self, name: &str, container: &str) {
        self.0.push((name.to_owned(), container == "Struct:Embedding"));
    }

    pub(super) fn leave(&mut self) {
        self.0.pop();
    }

    pub(super) fn path(&self) -> String {
        self.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(".")
    }

    pub(super) fn in_embedding(&self) -> bool {
        self.0.iter().any(|(name, embedding)| *embedding || name.contains("embedding"))
    }
}
