"""What the tests of figures share."""


def words(ax) -> list[str]:
    """The texts in a plot."""
    return [text.get_text() for text in ax.texts]
