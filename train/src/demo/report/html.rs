//! Pieces of HTML. Text goes in through [`escape`] and nowhere else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pipeline::picture::Picture;

use crate::Result;
use crate::bundle::png;

/// Side of a picture on the page, in CSS pixels.
const SIDE: u32 = 64;

/// Text as it may stand in an element or in a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A PNG inside the page.
pub(super) fn image(png: &[u8], alt: &str) -> String {
    let data = STANDARD.encode(png);
    format!(
        r#"<img width="{SIDE}" height="{SIDE}" alt="{}" src="data:image/png;base64,{data}">"#,
        escape(alt)
    )
}

/// A picture inside the page.
///
/// # Errors
/// The encoder refuses it.
pub(super) fn picture(picture: &Picture, alt: &str) -> Result<String> {
    Ok(image(&png(picture)?, alt))
}

/// Pictures side by side, each over a word that says what it is, with lines of text below. `text` is HTML.
pub(super) fn card(pictures: &[(&str, String)], text: &str) -> String {
    let named = |(name, image): &(&str, String)| match name.is_empty() {
        true => format!("<span>{image}</span>"),
        false => format!("<span>{image}<small>{}</small></span>", escape(name)),
    };
    let row: String = pictures.iter().map(named).collect();
    format!("<figure><div class=\"row\">{row}</div><figcaption>{text}</figcaption></figure>\n")
}

/// A caption in a language, as a block.
pub(super) fn line(language: &str, text: &str) -> String {
    format!("<p lang=\"{language}\">{}</p>", escape(text))
}

/// A section of the page. `body` is HTML.
pub(super) fn section(id: &str, title: &str, body: &str) -> String {
    format!("<section id=\"{id}\">\n<h2>{}</h2>\n{body}\n</section>\n", escape(title))
}

/// A paragraph of plain text.
pub(super) fn paragraph(text: &str) -> String {
    format!("<p class=\"text\">{}</p>\n", escape(text))
}

/// A table of two columns. Both are plain text.
pub(super) fn table(rows: &[(String, String)]) -> String {
    let row = |(name, value): &(String, String)| {
        format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape(name), escape(value))
    };
    format!("<table>\n{}</table>\n", rows.iter().map(row).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        assert_eq!(escape("<b a=\"'&'\">«кот»"), "&lt;b a=&quot;&#39;&amp;&#39;&quot;&gt;«кот»");
        let image = image(&[1, 2, 3], "a \"cat\"");
        assert_eq!(
            image,
            r#"<img width="64" height="64" alt="a &quot;cat&quot;" src="data:image/png;base64,AQID">"#
        );
        assert!(card(&[("<i>", image)], &line("ru", "a<b")).contains("<p lang=\"ru\">a&lt;b</p>"));
    }
}
