//! Writes, for an abstract class of NVIDIA's headers, a class that refuses every function.
//!
//! TensorRT's interfaces have hundreds of functions, and more in each release. The stand-in
//! implements what masklet calls; the rest must say so through the logger and fail, not crash.
//! Functions that return a reference cannot fail like that: they stay abstract, and the compiler
//! demands them.

/// The text of `<class>StandIn`, in the namespace of its base.
///
/// # Errors
/// When the header does not declare the class.
pub fn class(source: &str, namespace: &str, class: &str) -> Result<String, String> {
    let source = without_comments(source);
    let body = body(&source, class).ok_or_else(|| format!("the headers declare no {class}"))?;
    let interface = format!("I{}", &class[1..]);
    let mut text = format!(
        "namespace {namespace} {{\nclass {class}StandIn : public {class} {{\npublic:\n    \
         virtual nvinfer1::ILogger* logger() const noexcept = 0;\n"
    );
    for function in pure_virtuals(&body) {
        text.push_str(&refusal(&function, &interface));
    }
    text.push_str("};\n}\n");
    Ok(text)
}

fn without_comments(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find('/') {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        rest = if from.starts_with("//") {
            from.find('\n').map_or("", |end| &from[end..])
        } else if from.starts_with("/*") {
            from.find("*/").map_or("", |end| &from[end + 2..])
        } else {
            text.push('/');
            &from[1..]
        };
    }
    text.push_str(rest);
    text
}

/// What stands between the class's braces, without sections that an `#if` leaves out: all of its
/// conditional members depend on macros that nobody defines here.
fn body(source: &str, class: &str) -> Option<String> {
    let declaration = format!("class {class}");
    let open = source.match_indices(&declaration).find_map(|(at, found)| {
        let rest = &source[at + found.len()..];
        let ends = rest.find([';', '{'])?;
        let whole_name = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        (whole_name && rest[ends..].starts_with('{')).then_some(at + found.len() + ends + 1)
    })?;
    let mut depth = 1;
    let length = source[open..].find(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        depth == 0
    })?;
    let mut skipping = false;
    let mut kept = String::new();
    for line in source[open..open + length].lines() {
        match line.trim_start() {
            start if start.starts_with("#if") => skipping = true,
            start if start.starts_with("#endif") => skipping = false,
            _ if skipping => {}
            _ => {
                kept.push_str(line);
                kept.push('\n');
            }
        }
    }
    Some(kept)
}

/// The declarations of pure virtual functions, without `virtual`, attributes and `= 0`.
fn pure_virtuals(body: &str) -> Vec<String> {
    body.split(';')
        .filter_map(|statement| {
            let flat = statement.split_whitespace().collect::<Vec<_>>().join(" ");
            let (_, declaration) = flat.split_once("virtual ")?;
            let declaration = declaration.strip_suffix("= 0")?.trim_end();
            Some(declaration.to_owned())
        })
        .collect()
}

fn refusal(declaration: &str, interface: &str) -> String {
    let Some((before, _)) = declaration.split_once('(') else {
        return String::new();
    };
    let start = before
        .rfind(|c: char| !c.is_alphanumeric() && c != '_')
        .map_or(0, |at| at + 1);
    let (returned, name) = before.split_at(start);
    let returned = returned.trim();
    if returned.ends_with('&') {
        return String::new();
    }
    format!(
        "    {declaration} override {{ return masklet_sim::refuse<{returned}>(this->logger(), \
         \"{interface}::{name}\"); }}\n"
    )
}
