// A change of what is asked for shows the first page of it.
const form = document.getElementById("montage");
form.addEventListener("change", () => { if (form.reportValidity()) form.submit(); });
