//! The tags of a page one after the other, by the tokenizer `html5gum`, which reads them as browsers do. It was chosen over
//! that of html5ever because it takes time by the length of a page whatever its tags look like: there, every attribute of a
//! tag is compared with all others.

use std::convert::Infallible;

use html5gum::emitters::callback::{Callback, CallbackEmitter, CallbackEvent};
use html5gum::{Emitter, Error, ForwardingEmitter, Span, State, Tokenizer};

/// A start tag, with those of its attributes that mean something here, each once.
#[derive(Debug, Default)]
pub(super) struct Tag {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    /// Whether it ends in `/>`.
    pub(super) closed: bool,
}

impl Tag {
    /// The value of an attribute, character references resolved.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// A value that is not blank.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).filter(|value| !value.trim().is_empty()).map(str::to_owned)
    }

    /// Whether a list of words has one.
    pub(super) fn has_word(&self, name: &str, word: &str) -> bool {
        let words = self.get(name).unwrap_or("").split_ascii_whitespace();
        words.into_iter().any(|found| found.eq_ignore_ascii_case(word))
    }
}

/// Who is told of the parts of a page.
pub(super) trait Listener {
    /// Whether an attribute means something.
    fn wants(&self, tag: &str, attribute: &str) -> bool;
    /// A tag begins an element; the answer is how its content is read, if it holds no tags.
    fn start(&mut self, tag: &Tag) -> Option<State>;
    /// A tag ends an element.
    fn end(&mut self, name: &str);
    /// Text outside of tags.
    fn text(&mut self, text: &str);
    /// A comment.
    fn comment(&mut self, text: &str);
    /// Whether the present place is one of XML, where CDATA sections are text.
    fn is_xml(&self) -> bool;
}

/// Reads a page from its begin to its end.
pub(super) fn listen(page: &str, listener: &mut impl Listener) {
    let told = Told { listener, tag: None, attribute: None, state: None };
    let Ok(()) = Tokenizer::new_with_emitter(page, Tokens(CallbackEmitter::new(told))).finish();
}

/// What html5gum tells, put together to tags.
struct Told<'a, L> {
    listener: &'a mut L,
    /// The start tag that is being read.
    tag: Option<Tag>,
    /// Its attribute that is being read, if it is one of use.
    attribute: Option<usize>,
    /// How to go on.
    state: Option<State>,
}

impl<L: Listener> Callback<Infallible, ()> for Told<'_, L> {
    fn handle_event(&mut self, event: CallbackEvent<'_>, _: Span<()>) -> Option<Infallible> {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.tag = Some(Tag { name: text(name).into_owned(), ..Tag::default() });
                self.attribute = None;
            }
            CallbackEvent::AttributeName { name } => self.attribute(&text(name)),
            CallbackEvent::AttributeValue { value } => {
                if let (Some(tag), Some(at)) = (&mut self.tag, self.attribute.take()) {
                    tag.attributes[at].1 = text(value).into_owned();
                }
            }
            CallbackEvent::CloseStartTag { self_closing } => {
                if let Some(tag) = self.tag.take() {
                    self.state = self.listener.start(&Tag { closed: self_closing, ..tag });
                }
            }
            CallbackEvent::EndTag { name } => {
                self.tag = None;
                self.listener.end(&text(name));
            }
            CallbackEvent::String { value } => self.listener.text(&text(value)),
            CallbackEvent::Comment { value } => self.listener.comment(&text(value)),
            CallbackEvent::Doctype { .. } | CallbackEvent::Error(_) => {}
        }
        None
    }
}

impl<L: Listener> Told<'_, L> {
    /// The first of a name counts.
    fn attribute(&mut self, name: &str) {
        self.attribute = None;
        if let Some(tag) = &mut self.tag
            && self.listener.wants(&tag.name, name)
            && tag.get(name).is_none()
        {
            self.attribute = Some(tag.attributes.len());
            tag.attributes.push((name.to_owned(), String::new()));
        }
    }
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// The emitter of html5gum's callbacks, with a say in how the content of an element is read.
struct Tokens<'a, L: Listener>(CallbackEmitter<Told<'a, L>, Infallible, ()>);

impl<L: Listener> ForwardingEmitter for Tokens<'_, L> {
    type Token = Infallible;

    fn inner(&mut self) -> &mut impl Emitter<Token = Infallible> {
        &mut self.0
    }

    fn emit_current_tag(&mut self) -> Option<State> {
        // Its own idea of the next state is not asked for.
        let _ = Emitter::emit_current_tag(&mut self.0);
        self.0.callback_mut().state.take()
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&mut self) -> bool {
        self.0.callback_mut().listener.is_xml()
    }

    fn should_emit_errors(&mut self) -> bool {
        false
    }

    fn emit_error(&mut self, _: Error) {}
}
