"use strict";
// Questions to the server that the page came from, with the token of the page's address.

const Ask = (() => {
  const token = new URLSearchParams(location.search).get("token");

  // What it answers as JSON; fails where it does not answer, or refuses.
  async function the(path, params) {
    const query = new URLSearchParams(token ? { ...params, token } : params);
    const answer = await fetch(`${path}?${query}`);
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  }

  return { the };
})();
