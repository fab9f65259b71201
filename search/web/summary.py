"""What a search found, in a sentence or two."""

from __future__ import annotations

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from catalogue.words import sentence_space
from search.reading.ranking import LONGEST, Ranking
from search.reading.results import Page
from search.vision.matches import Match


def summary(ranking: Ranking, page: Page, products: int) -> str:
    """How many products there are of those that the filters leave, and how like the first are to the picture."""
    count = len(ranking)
    if count >= LONGEST:
        found = _("The %(count)s most similar of %(products)s products, the most similar first.")
    else:
        found = ngettext("%(count)s product.", "%(count)s products, the most similar first.", count)
    figures = {"count": count, "products": products}
    sentences = [found % {name: number_format(number, force_grouping=True) for name, number in figures.items()}]
    words = [result.match for result in page.results]
    if same := words.count(Match.SAME_ITEM):
        sentences.append(
            ngettext("%(count)s looks like the same item.", "%(count)s look like the same item.", same)
            % {"count": number_format(same)}
        )
    elif very := words.count(Match.VERY_SIMILAR):
        sentences.append(
            ngettext("%(count)s looks very similar.", "%(count)s look very similar.", very)
            % {"count": number_format(very)}
        )
    return sentence_space().join(sentences)
