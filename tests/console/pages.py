"""Pages as a browser without scripts sees them: the element tree, its text, and its forms as they are sent."""

from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
HOST = "https://localhost"


class Element:
    """An element with its attributes and children."""

    def __init__(self, tag, attributes, parent):
        self.tag, self.attributes, self.parent, self.children = tag, dict(attributes), parent, []

    def __getitem__(self, name):
        return self.attributes.get(name)

    def __contains__(self, name):
        return name in self.attributes

    def every(self, *tags, **attributes) -> Iterator["Element"]:
        """Descendants with these tags and attributes; `class_` is one of the classes."""
        for child in self.children:
            if isinstance(child, str):
                continue
            if (not tags or child.tag in tags) and child._fits(attributes):
                yield child
            yield from child.every(*tags, **attributes)

    def one(self, *tags, **attributes):
        """The only descendant with these tags and attributes."""
        found = list(self.every(*tags, **attributes))
        assert len(found) == 1, (tags, attributes, len(found))
        return found[0]

    def _fits(self, attributes):
        return all(
            value in (self["class"] or "").split() if name == "class_" else self[name] == value
            for name, value in attributes.items()
        )

    @property
    def text(self):
        """Its text, with white space collapsed as in a browser."""
        return " ".join(self.raw.split())

    @property
    def raw(self):
        """Its text with white space unchanged."""
        return "".join(child if isinstance(child, str) else child.raw for child in self.children)

    @property
    def label(self):
        """The text of a button, without what stands small in it: how the customer asked."""
        parts = [
            one if isinstance(one, str) else one.raw for one in self.children if getattr(one, "tag", "") != "small"
        ]
        return " ".join("".join(parts).split())

    def above(self, tag):
        """Its nearest ancestor with this tag."""
        found = self.parent
        while found is not None and found.tag != tag:
            found = found.parent
        return found


class _Builder(HTMLParser):
    """Parses strictly: every element must be closed, in the right place."""

    def __init__(self):
        super().__init__()
        self.root = self.here = Element("", (), None)

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice: {attrs}"
        element = Element(tag, ((name, value or "") for name, value in attrs), self.here)
        self.here.children.append(element)
        if tag not in VOID:
            self.here = element

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.here = self.here.parent

    def handle_endtag(self, tag):
        assert tag == self.here.tag, f"</{tag}> closes <{self.here.tag}>"
        self.here = self.here.parent

    def handle_data(self, data):
        self.here.children.append(data)


class Form:
    """A form: its fields with their values, and its address."""

    def __init__(self, element, address):
        self.element = element
        self.method = (element["method"] or "get").upper()
        self.action = urljoin(address, element["action"] or address)

    @property
    def buttons(self):
        """The labels of its buttons."""
        return [button.label for button in self.element.every("button") if button["type"] != "button"]

    @property
    def names(self):
        """The names of its fields."""
        return {field["name"] for field in self.element.every("input", "select", "textarea") if field["name"]}

    @property
    def fields(self):
        """What it sends unchanged."""
        sent = {}
        for field in self.element.every("input", "select", "textarea"):
            if not field["name"] or (field["type"] in {"radio", "checkbox"} and "checked" not in field):
                continue
            assert field["name"] not in sent, f"{field['name']} is there twice"
            sent[field["name"]] = _value(field)
        return sent

    def filled(self, typed):
        """What it sends once this is typed into its fields; None removes a field."""
        assert typed.keys() <= self.names, f"no such field: {typed.keys() - self.names}"
        sent = self.fields | typed
        return {name: value.replace("\n", "\r\n") for name, value in sent.items() if value is not None}


def _value(field):
    if field.tag == "textarea":
        return field.raw.removeprefix("\n")
    if field.tag == "select":
        options = list(field.every("option"))
        chosen = next((option for option in options if "selected" in option), options[0])
        return chosen.attributes.get("value", chosen.text)
    return field["value"] or ""


class Page:
    """A response, parsed as a page; one that is no page, such as a table, is an empty one."""

    def __init__(self, response, address):
        self.response, self.address = response, address
        self.status, self.headers, self.source = response.status_code, response.headers, response.text
        builder = _Builder()
        is_page = response.mimetype in {"text/html", ""}
        builder.feed(self.source.replace("\r\n", "\n") if is_page else "<html><main></main></html>")
        builder.close()
        assert builder.here is builder.root, f"<{builder.here.tag}> is left open"
        self.root = builder.root
        self.html = self.root.one("html")

    @property
    def path(self):
        """The path of its address."""
        return urlsplit(self.address).path

    @property
    def query(self):
        """The parameters of its address."""
        return dict(parse_qsl(urlsplit(self.address).query, keep_blank_values=True))

    @property
    def lang(self):
        """Its language."""
        return self.html["lang"]

    @property
    def title(self):
        """Its title."""
        return self.root.one("title").text

    @property
    def main(self):
        """Its content without the frame that all pages share; the whole body of a document."""
        return next(self.root.every("main"), None) or self.root.one("body")

    @property
    def text(self):
        """The text of its content."""
        return self.main.text

    @property
    def h1(self):
        """Its heading."""
        return self.root.one("h1").text

    @property
    def headings(self):
        """All of its headings."""
        return [one.text for one in self.main.every("h1", "h2", "h3", "h4")]

    @property
    def links(self):
        """The targets of its links, by their text."""
        return {one.text: one["href"] for one in self.root.every("a")}

    @property
    def forms(self):
        """Its forms, except those in the header: the search, and the one to sign out."""
        return [Form(one, self.address) for one in self.main.every("form")]

    @property
    def has_search(self):
        """Whether its header has the search."""
        return any(self.root.every("form", role="search"))

    @property
    def search(self):
        """The form of the search in its header."""
        return Form(self.root.one("form", role="search"), self.address)

    @property
    def navigation(self):
        """The screens in its navigation."""
        return [one.text for nav in self.root.every("nav") for one in nav.every("a")]

    @property
    def errors(self):
        """The messages about invalid fields, by field name."""
        marked = {one["id"].removesuffix("-error"): one.text for one in self.main.every("p", class_="error")}
        listed = [one.text for box in self.main.every("div", class_="errors") for one in box.every("li")]
        assert all(any(one.endswith(text) for one in listed) for text in marked.values())
        return marked

    @property
    def notices(self):
        """The notices at its top."""
        return [one.text for one in self.main.every("div", class_="notice")]

    @property
    def facts(self):
        """Its description lists: each term with its description."""
        return {
            term.text: description.text
            for one in self.main.every("dl")
            for term, description in zip(one.every("dt"), one.every("dd"), strict=True)
        }

    def form(self, button=None):
        """The form with this button, or the only one."""
        found = [form for form in self.forms if button is None or button in form.buttons]
        assert len(found) == 1, (button, [form.buttons for form in self.forms])
        return found[0]


class Browser:
    """A browser that runs no scripts."""

    def __init__(self, app, language=None):
        self.client = app.test_client()
        self.language = language
        self.visited = []
        """Every address it has requested, redirects included."""

    def send(self, method, path, *, headers=(), **sent):
        """The response to one request."""
        defaults = {"Accept-Language": self.language} if self.language else {}
        return self.client.open(path, method=method, base_url=HOST, headers=defaults | dict(headers), **sent)

    @property
    def token(self):
        """The CSRF token of its session."""
        return next(self.get("/console/policies").root.every("input", name="csrf_token"))["value"]

    def get(self, path):
        """The page at an address, after redirects."""
        self.visited.append(path)
        return self._arrived(self.send("GET", path), path)

    def post(self, path, fields, **headers):
        """The page that follows a form with these fields."""
        self.visited.append(path)
        defaults = {"Origin": HOST, "Sec-Fetch-Site": "same-origin"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        sent = {"data": urlencode(fields), "content_type": "application/x-www-form-urlencoded"}
        return self._arrived(self.send("POST", path, headers=defaults, **sent), path)

    def submit(self, form, button=None, **typed):
        """The page that follows a form with this typed into it, sent by a button, which may send a value too."""
        fields = form.filled(typed)
        pressed = [one for one in form.element.every("button") if one.text == button and one["name"]]
        fields |= {one["name"]: one["value"] for one in pressed[:1]}
        path = form.action.removeprefix(HOST)
        if form.method == "GET":
            return self.get(f"{path.partition('?')[0]}?{urlencode(fields)}")
        return self.post(path, fields)

    def press(self, page, button, **typed):
        """The page that follows when a button is pressed."""
        return self.submit(page.form(button), button, **typed)

    def follow(self, page, link):
        """The page behind a link."""
        return self.get(urljoin(page.address, page.links[link]).removeprefix(HOST))

    def pages(self, path):
        """Every page of a list, from the one at a path on."""
        page = self.get(path)
        while page:
            yield page
            page = self.follow(page, "Next page") if "Next page" in page.links else None

    def is_open(self, order):
        """Whether the open requests have an order."""
        return any(order in page.links for page in self.queue())

    def queue(self):
        """Every page of every tab of the open requests."""
        tabs = [one["href"] for one in self.get("/console/open").root.one("nav", class_="tabs").every("a")]
        return (page for tab in tabs for page in self.pages(tab))

    def opens(self, order):
        """The page of the open request about an order, by its link among the open requests."""
        return self.follow(next(page for page in self.queue() if order in page.links), order)

    def _arrived(self, response, path):
        if response.status_code == 303:
            location = response.headers["Location"]
            assert location.startswith("/console/"), location
            return self.get(location)
        return Page(response, HOST + path)
